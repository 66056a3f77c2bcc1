-- Counts the changes of what lists and probes say of models, whoever makes them: a server that routes by it reads it anew then.
CREATE TABLE findings_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO findings_version (id, version) VALUES (1, 1);

CREATE TRIGGER findings_of_new_probes AFTER INSERT ON probes
BEGIN UPDATE findings_version SET version = version + 1; END;
CREATE TRIGGER findings_of_probes AFTER UPDATE ON probes
BEGIN UPDATE findings_version SET version = version + 1; END;
CREATE TRIGGER findings_of_new_lists AFTER INSERT ON discoveries
BEGIN UPDATE findings_version SET version = version + 1; END;
CREATE TRIGGER findings_of_lists AFTER UPDATE OF listed_at ON discoveries
BEGIN UPDATE findings_version SET version = version + 1; END;
