-- Times are milliseconds since 1970 in UTC. Ids are UUIDs of version 7, as
-- text: they sort by the time they were made.

CREATE TABLE folders (
  id       TEXT PRIMARY KEY,
  name     TEXT NOT NULL,
  position INTEGER NOT NULL,
  deleted  INTEGER
) WITHOUT ROWID;

CREATE TABLE conversations (
  id       TEXT PRIMARY KEY,
  folder   TEXT REFERENCES folders(id) ON DELETE SET NULL,
  title    TEXT NOT NULL,
  system   TEXT NOT NULL,
  sampling TEXT,            -- JSON, or NULL for the model's own
  model    TEXT NOT NULL,
  created  INTEGER NOT NULL,
  updated  INTEGER NOT NULL,
  deleted  INTEGER,
  leaf     TEXT REFERENCES messages(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
) WITHOUT ROWID;
CREATE INDEX conversations_updated ON conversations(updated DESC, id DESC);
CREATE INDEX conversations_folder ON conversations(folder);
CREATE INDEX conversations_deleted ON conversations(deleted) WHERE deleted IS NOT NULL;
CREATE INDEX conversations_leaf ON conversations(leaf);

CREATE TABLE messages (
  number       INTEGER PRIMARY KEY,  -- the full-text index knows messages by it
  id           TEXT NOT NULL UNIQUE,
  conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
  parent       TEXT REFERENCES messages(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  role         TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content      TEXT NOT NULL,
  status       TEXT NOT NULL CHECK (status IN ('pending', 'streaming', 'done', 'stopped', 'failed')),
  error        TEXT NOT NULL,
  tokens       INTEGER NOT NULL,
  first_token  INTEGER NOT NULL,     -- nanoseconds
  duration     INTEGER NOT NULL,     -- nanoseconds
  model        TEXT NOT NULL,
  created      INTEGER NOT NULL
);
CREATE INDEX messages_conversation ON messages(conversation, id);
CREATE INDEX messages_parent ON messages(parent);
CREATE INDEX messages_unfinished ON messages(status) WHERE status IN ('pending', 'streaming');

CREATE TABLE documents (
  id           TEXT PRIMARY KEY,
  conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
  message      TEXT REFERENCES messages(id) ON DELETE CASCADE,
  path         TEXT NOT NULL,
  name         TEXT NOT NULL,
  format       TEXT NOT NULL,
  size         INTEGER NOT NULL,
  hash         TEXT NOT NULL,
  pages        INTEGER NOT NULL,
  words        INTEGER NOT NULL,
  tokens       INTEGER NOT NULL,
  tokens_read  INTEGER NOT NULL,
  status       TEXT NOT NULL CHECK (status IN ('waiting', 'reading', 'paused', 'done', 'failed', 'cancelled')),
  summary      TEXT NOT NULL,
  summary_words INTEGER NOT NULL,
  error        TEXT NOT NULL,
  created      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX documents_conversation ON documents(conversation, id);
CREATE INDEX documents_message ON documents(message);
CREATE INDEX documents_unfinished ON documents(status) WHERE status IN ('waiting', 'reading');

-- A file of states/; several states may stand in one, as after a fork.
CREATE TABLE state_files (
  id      TEXT PRIMARY KEY,
  bytes   INTEGER NOT NULL,
  created INTEGER NOT NULL,
  used    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE states (
  id           TEXT PRIMARY KEY,
  file         TEXT NOT NULL REFERENCES state_files(id),
  conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
  message      TEXT REFERENCES messages(id) ON DELETE CASCADE,
  document     TEXT REFERENCES documents(id) ON DELETE CASCADE,
  section      INTEGER NOT NULL,
  final        INTEGER NOT NULL,
  tokens       INTEGER NOT NULL,
  position     INTEGER NOT NULL,
  text_hash    TEXT NOT NULL,
  model        TEXT NOT NULL,
  created      INTEGER NOT NULL,
  CHECK ((message IS NULL) <> (document IS NULL))
) WITHOUT ROWID;
CREATE UNIQUE INDEX states_message ON states(message, section) WHERE message IS NOT NULL;
CREATE UNIQUE INDEX states_document ON states(document, section) WHERE document IS NOT NULL;
CREATE INDEX states_conversation ON states(conversation);
CREATE INDEX states_file ON states(file);

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL        -- JSON
) WITHOUT ROWID;

CREATE TABLE presets (
  id       TEXT PRIMARY KEY,
  name     TEXT NOT NULL,
  system   TEXT NOT NULL,
  sampling TEXT,
  position INTEGER NOT NULL
) WITHOUT ROWID;

-- The full-text index holds finished messages only: one that grows four times
-- a second would be taken apart anew each time. Two line ends follow every
-- text, so that its last characters too begin a trigram: that is how words of
-- one and two characters are found.
CREATE VIEW message_texts(number, content) AS
  SELECT number, content || char(10, 10) FROM messages;
CREATE VIRTUAL TABLE message_index USING fts5(
  content, content = 'message_texts', content_rowid = 'number', tokenize = 'trigram', columnsize = 0);
CREATE VIRTUAL TABLE message_trigrams USING fts5vocab(message_index, 'instance'); -- 'row' would count each one's places
-- Two pieces are enough to merge: what was deleted leaves the index thereby.
INSERT INTO message_index(message_index, rank) VALUES ('usermerge', 2);

CREATE TRIGGER messages_index_insert AFTER INSERT ON messages
WHEN new.status NOT IN ('pending', 'streaming') BEGIN
  INSERT INTO message_index(rowid, content) VALUES (new.number, new.content || char(10, 10));
END;
CREATE TRIGGER messages_index_delete AFTER DELETE ON messages
WHEN old.status NOT IN ('pending', 'streaming') BEGIN
  INSERT INTO message_index(message_index, rowid, content) VALUES ('delete', old.number, old.content || char(10, 10));
END;
CREATE TRIGGER messages_index_out AFTER UPDATE OF content, status ON messages
WHEN old.status NOT IN ('pending', 'streaming') BEGIN
  INSERT INTO message_index(message_index, rowid, content) VALUES ('delete', old.number, old.content || char(10, 10));
END;
CREATE TRIGGER messages_index_in AFTER UPDATE OF content, status ON messages
WHEN new.status NOT IN ('pending', 'streaming') BEGIN
  INSERT INTO message_index(rowid, content) VALUES (new.number, new.content || char(10, 10));
END;
