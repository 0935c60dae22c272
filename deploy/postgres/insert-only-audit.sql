-- A database role for web and workers that can add to the audit log and change nothing of it.
-- Run as the owner of the tables, after every `manage.py migrate`:
--   psql "$DATABASE_URL" --set role=hilum_app --file deploy/postgres/insert-only-audit.sql
-- The role has to exist (CREATE ROLE hilum_app LOGIN PASSWORD '…'); migrations keep running as the owner.

GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"role";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"role";

REVOKE ALL ON audit_auditevent, audit_auditlink, audit_auditchain, audit_queue FROM :"role";
GRANT SELECT, INSERT ON audit_auditevent TO :"role";
-- The queue is empty outside of a commit; `manage.py backup` reads every table.
GRANT SELECT ON audit_auditlink, audit_auditchain, audit_queue TO :"role";
-- Migrations belong to the owner.
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM :"role";
