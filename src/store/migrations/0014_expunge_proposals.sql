-- Up Migration

-- Proposals of administrators to remove a subject, until another administrator approves, or they expire. A row is only
-- ever added and deleted. Its MAC covers every column: who edits the proposer does not become a second person. The key is
-- no foreign key: a proposal of a key that is gone is void, and keeps no key.
CREATE TABLE expunge_proposal (
  proposal_id uuid PRIMARY KEY,
  -- No foreign key: a subject that its owner removes leaves the proposal void.
  subject_id uuid NOT NULL,
  subject_version bigint NOT NULL CHECK (subject_version >= 1),
  contributor text NOT NULL,
  proposed_by text NOT NULL,
  reason text NOT NULL CHECK (reason <> ''),
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  mac bytea NOT NULL,
  mac_key_id text NOT NULL
);
CREATE INDEX expunge_proposal_proposer ON expunge_proposal (proposed_by);
