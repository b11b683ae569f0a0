-- What is told of a message or a document has a kind, so that it can be said in
-- the user's language whenever it is shown: see Note. Of a problem the English
-- text stays in the column error.

ALTER TABLE messages ADD COLUMN problem TEXT NOT NULL DEFAULT '';   -- JSON of a Note; '' for none
ALTER TABLE messages ADD COLUMN note TEXT NOT NULL DEFAULT '';      -- JSON of a Note; '' for none
ALTER TABLE messages ADD COLUMN answers TEXT NOT NULL DEFAULT '';   -- a message before it; '' for its parent

ALTER TABLE documents ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN encoding TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN trained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN problem TEXT NOT NULL DEFAULT '';  -- JSON of a Note; '' for none
ALTER TABLE documents ADD COLUMN notes TEXT NOT NULL DEFAULT '';    -- JSON of Notes; '' for none
