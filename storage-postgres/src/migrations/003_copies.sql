-- What a copy into this store that is under way has noted; no row when there is none.
CREATE TABLE @copies (
    number BIGINT PRIMARY KEY CHECK (number = 1),
    note TEXT NOT NULL
);
