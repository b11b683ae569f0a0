-- What was written for a conversation and not sent, and the files that were
-- given to it and not read. '' stands for a conversation that is not stored yet.
CREATE TABLE drafts (
  conversation TEXT PRIMARY KEY,
  text         TEXT NOT NULL,
  files        TEXT NOT NULL  -- JSON of paths
) WITHOUT ROWID;

CREATE TRIGGER drafts_delete AFTER DELETE ON conversations BEGIN
  DELETE FROM drafts WHERE conversation = old.id;
END;
