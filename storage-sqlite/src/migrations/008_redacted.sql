-- When personal data was taken out of an event.
ALTER TABLE events ADD COLUMN redacted_at INTEGER;
