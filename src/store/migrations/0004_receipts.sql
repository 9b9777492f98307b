-- Up Migration

-- What says that somebody was expunged, as it was signed then. It does not hold the subject's id.
CREATE TABLE receipt (
  seq bigint PRIMARY KEY REFERENCES change,
  document text NOT NULL
);
