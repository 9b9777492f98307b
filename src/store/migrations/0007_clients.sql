-- Up Migration

-- Agencies that clients act for. The code names an agency in caveats, which have no lower case: two agencies whose names
-- would look alike there cannot both exist.
CREATE TABLE agency (
  agency text PRIMARY KEY CHECK (agency <> ''),
  code text NOT NULL UNIQUE CHECK (code <> '')
);

-- Who may call the service. Clients are disabled, never deleted: the audit names them.
CREATE TABLE client (
  client_id text PRIMARY KEY CHECK (client_id <> ''),
  kind text NOT NULL CHECK (kind IN ('machine', 'person')),
  agency text NOT NULL REFERENCES agency,
  roles text[] NOT NULL,
  -- NULL: every gallery, also later ones.
  galleries text[],
  purposes text[] NOT NULL,
  clearance smallint NOT NULL CHECK (clearance BETWEEN 0 AND 3),
  -- NULL: the service's default.
  calls_per_second double precision CHECK (calls_per_second > 0),
  streams int CHECK (streams > 0),
  verifications_per_day int CHECK (verifications_per_day >= 0),
  create_time timestamptz NOT NULL,
  created_by text NOT NULL,
  disable_time timestamptz,
  disabled_by text,
  disable_reason text,
  CHECK ((disable_time IS NULL) = (disabled_by IS NULL))
);

-- How a client shows who it is. No secret: a token is known by its digest.
CREATE TABLE client_credential (
  credential_id uuid PRIMARY KEY,
  client_id text NOT NULL REFERENCES client,
  kind text NOT NULL CHECK (kind IN ('certificate', 'certificate-name', 'token')),
  -- SHA-256 of the certificate (DER) or of the token.
  fingerprint bytea CHECK (length(fingerprint) = 32),
  -- Subject alternative name, `URI:…` or `DNS:…`, of certificates of one issuer.
  name text,
  -- SHA-256 of the issuer's certificate (DER).
  issuer bytea CHECK (length(issuer) = 32),
  create_time timestamptz NOT NULL,
  created_by text NOT NULL,
  expire_time timestamptz,
  revoke_time timestamptz,
  revoked_by text,
  UNIQUE (kind, fingerprint),
  UNIQUE (name, issuer),
  CHECK ((kind = 'certificate-name') = (name IS NOT NULL AND issuer IS NOT NULL)),
  CHECK ((kind = 'certificate-name') = (fingerprint IS NULL))
);
CREATE INDEX client_credential_client ON client_credential (client_id);

-- Grows with every change of a client or credential, whatever makes it: services read clients again when it has grown.
CREATE TABLE client_version (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  version bigint NOT NULL
);
INSERT INTO client_version (version) VALUES (0);

CREATE FUNCTION note_client_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE client_version SET version = version + 1;
  PERFORM pg_notify('ridgewatch_client', '');
  RETURN NULL;
END $$;
CREATE TRIGGER client_changes_are_noted AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON client
  FOR EACH STATEMENT EXECUTE FUNCTION note_client_change();
CREATE TRIGGER credential_changes_are_noted AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON client_credential
  FOR EACH STATEMENT EXECUTE FUNCTION note_client_change();
