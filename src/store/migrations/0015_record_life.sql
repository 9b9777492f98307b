-- Up Migration

-- What the owner of a record decides about its life: by when it has to be reviewed, whether it is suspended, until when the
-- subject is a minor, and what is to be done when the record is found. Rows that have none of it keep their MAC, which says
-- so (row-macs.ts).
ALTER TABLE subject
  ADD COLUMN review_time timestamptz,
  ADD COLUMN suspended boolean NOT NULL DEFAULT false,
  ADD COLUMN minor_until timestamptz,
  ADD COLUMN handling_code text
    CHECK (handling_code IN ('notify-only', 'discreet-check', 'inquiry-check', 'specific-check', 'locate', 'protect',
      'refuse-entry', 'detain-for-owner')),
  ADD COLUMN handling_instructions text,
  ADD COLUMN handling_contact text,
  ADD CONSTRAINT subject_handling_whole CHECK (
    (handling_code IS NULL) = (handling_instructions IS NULL) AND (handling_code IS NULL) = (handling_contact IS NULL)
  );
