-- What is out with whoever has the lease: 0 for events after the checkpoint, else the `seq` of a letter. A lease that ends by itself
-- with something out is a failed try; `lapsed` tells the next one so.
ALTER TABLE consumers ADD COLUMN out_seq INTEGER;
ALTER TABLE consumers ADD COLUMN lapsed INTEGER NOT NULL DEFAULT 0;
