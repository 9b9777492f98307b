-- Up Migration

-- Persons known by an identity provider: `name` is the subject, `issuer_url` the provider, and `fingerprint` the SHA-256
-- of both with a space between.
ALTER TABLE client_credential ADD COLUMN issuer_url text CHECK (issuer_url <> '');
ALTER TABLE client_credential
  DROP CONSTRAINT client_credential_kind_check,
  DROP CONSTRAINT client_credential_check,
  ADD CONSTRAINT client_credential_kind_check CHECK (kind IN ('certificate', 'certificate-name', 'token', 'oidc')),
  ADD CONSTRAINT client_credential_name_of_kind CHECK ((kind IN ('certificate-name', 'oidc')) = (name IS NOT NULL)),
  ADD CONSTRAINT client_credential_issuer_of_kind CHECK ((kind = 'certificate-name') = (issuer IS NOT NULL)),
  ADD CONSTRAINT client_credential_provider_of_kind CHECK ((kind = 'oidc') = (issuer_url IS NOT NULL)),
  ADD CONSTRAINT client_credential_person_key UNIQUE (issuer_url, name);
