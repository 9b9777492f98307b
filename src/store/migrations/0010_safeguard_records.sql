-- Up Migration

-- What comparisons with subjects have cost, and who was alarmed about, is read again from the audit at each start. These
-- are few among many searches. In canonical JSON quotes within a text are escaped: no text of a caller has these patterns.
-- src/store/safeguard-records.ts asks with the same words.
CREATE INDEX audit_record_safeguards ON audit_record (at)
  WHERE entry LIKE '%"method":"Identification/Verify"%' OR entry LIKE '%"reason":"PROBES_ALIKE%'
    OR entry LIKE '%"reason":"VERIFY_BUDGET%';
