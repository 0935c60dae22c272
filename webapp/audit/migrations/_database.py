"""The database keeps the audit log: it refuses changes, and chains the events of each site as they are committed.

SQLite has one writer at a time, so each event is chained as it is inserted. PostgreSQL does it at the end of the
transaction, after every other deferred check, so that the lock of a chain is held only while it commits: the first
trigger puts the event into a queue, the queue's own runs once all that was pending has run. Chains are locked in the
order of their names, so two transactions never wait for each other.
"""

from webapp.audit.signing import chain_of, digest_of, link_of
from webapp.core.triggers import Trigger, append_only

EVENTS = "audit events are added, never changed or removed"
LINKS = "the chains of the audit log are kept by the database"
TRIGGERS = [
    *append_only("audit_auditevent", EVENTS),
    *append_only("audit_auditlink", LINKS),
    Trigger("audit_auditchain_no_delete", "audit_auditchain", "DELETE", LINKS),
    Trigger(
        "audit_auditchain_grows", "audit_auditchain", "UPDATE", LINKS,
        when="NEW.length <> OLD.length + 1 OR NEW.chain <> OLD.chain",
    ),
]  # fmt: skip
TABLES = ("audit_auditevent", "audit_auditlink", "audit_auditchain")

# REPLACE removes the row before it inserts, past the trigger on DELETE.
SQLITE = [
    f"""CREATE TRIGGER audit_auditevent_no_replace BEFORE INSERT ON audit_auditevent
        WHEN EXISTS (SELECT 1 FROM audit_auditevent WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, '{EVENTS}'); END""",
    f"""CREATE TRIGGER audit_auditlink_no_replace BEFORE INSERT ON audit_auditlink
        WHEN EXISTS (SELECT 1 FROM audit_auditlink WHERE event_id = NEW.event_id
            OR (chain = NEW.chain AND number = NEW.number)) BEGIN SELECT RAISE(ABORT, '{LINKS}'); END""",
    """CREATE TRIGGER audit_auditevent_chained AFTER INSERT ON audit_auditevent BEGIN
        INSERT INTO audit_auditchain (chain, length, head) SELECT COALESCE(NEW.site_id, 'global'), 0, ''
            WHERE NOT EXISTS (SELECT 1 FROM audit_auditchain WHERE chain = COALESCE(NEW.site_id, 'global'));
        UPDATE audit_auditchain SET length = length + 1,
            head = SHA256(head || ':' || (length + 1) || ':' || NEW.digest)
            WHERE chain = COALESCE(NEW.site_id, 'global');
        INSERT INTO audit_auditlink (event_id, chain, number, link) SELECT NEW.id, chain, length, head
            FROM audit_auditchain WHERE chain = COALESCE(NEW.site_id, 'global'); END""",
]
SQLITE_NAMES = ("audit_auditevent_no_replace", "audit_auditlink_no_replace", "audit_auditevent_chained")

# The functions run with the rights of who owns the tables: whoever may insert an event gets it chained.
POSTGRESQL = """
CREATE TABLE audit_queue (position bigserial PRIMARY KEY, event_id uuid NOT NULL, chain text NOT NULL, digest text NOT NULL);
CREATE FUNCTION hilum_audit_enqueue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = "{schema}", pg_temp AS $$
BEGIN
    INSERT INTO audit_queue (event_id, chain, digest)
        VALUES (NEW.id, COALESCE(replace(NEW.site_id::text, '-', ''), 'global'), NEW.digest);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_auditevent_enqueued AFTER INSERT ON audit_auditevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hilum_audit_enqueue();
CREATE FUNCTION hilum_audit_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = "{schema}", pg_temp AS $$
DECLARE item record; n bigint; h text;
BEGIN
    FOR item IN SELECT DISTINCT q.chain FROM audit_queue q ORDER BY q.chain LOOP
        INSERT INTO audit_auditchain (chain, length, head) VALUES (item.chain, 0, '') ON CONFLICT DO NOTHING;
        PERFORM 1 FROM audit_auditchain c WHERE c.chain = item.chain FOR UPDATE;
    END LOOP;
    FOR item IN SELECT * FROM audit_queue ORDER BY position LOOP
        UPDATE audit_auditchain c SET length = c.length + 1,
            head = encode(sha256(convert_to(c.head || ':' || (c.length + 1) || ':' || item.digest, 'UTF8')), 'hex')
            WHERE c.chain = item.chain RETURNING c.length, c.head INTO n, h;
        INSERT INTO audit_auditlink (event_id, chain, number, link) VALUES (item.event_id, item.chain, n, h);
        DELETE FROM audit_queue WHERE position = item.position;
    END LOOP;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_queue_chained AFTER INSERT ON audit_queue DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hilum_audit_chain();
CREATE FUNCTION hilum_audit_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is added to, never emptied'; END $$;
"""
NO_TRUNCATE = "CREATE TRIGGER {0}_no_truncate BEFORE TRUNCATE ON {0} FOR EACH STATEMENT EXECUTE FUNCTION hilum_audit_no_truncate()"


def chain_earlier_events(apps, editor):
    """Sign and chain what was recorded before there were chains, in the order of time."""
    events, links, chains = (apps.get_model("audit", name) for name in ("AuditEvent", "AuditLink", "AuditChain"))
    ends = {}
    for event in events.objects.order_by("created_at", "pk").iterator():
        event.digest = digest_of(event)
        event.save(update_fields=["digest"])
        chain = chain_of(event.site_id)
        number, head = ends.get(chain, (0, ""))
        ends[chain] = number + 1, link_of(head, number + 1, event.digest)
        links.objects.create(event_id=event.pk, chain=chain, number=ends[chain][0], link=ends[chain][1])
    for chain, (length, head) in ends.items():
        chains.objects.create(chain=chain, length=length, head=head)


def create(apps, editor):
    for trigger in TRIGGERS:
        trigger.create(editor)
    if editor.connection.vendor != "postgresql":
        for statement in SQLITE:
            editor.execute(statement)
        return
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
    editor.execute(POSTGRESQL.replace("{schema}", schema), params=None)
    for table in TABLES:
        editor.execute(NO_TRUNCATE.format(table))


def drop(apps, editor):
    for trigger in TRIGGERS:
        trigger.drop(editor)
    if editor.connection.vendor != "postgresql":
        for name in SQLITE_NAMES:
            editor.execute(f"DROP TRIGGER {name}")
        return
    for function in ("enqueue", "chain", "no_truncate"):
        editor.execute(f"DROP FUNCTION hilum_audit_{function}() CASCADE")
    editor.execute("DROP TABLE audit_queue")
