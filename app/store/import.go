package store

import (
	"context"
	"database/sql"
	"io"
	"time"
)

// importing is when conversations of an import under way were deleted, in
// milliseconds: nothing shows them, and should the program end they are purged
// at the next start.
const importing = 1

// importStep is about how long other writers wait for an import. Tests shorten it.
var importStep = 100 * time.Millisecond

// checkingShare is about how much of an import's time goes by before anything is
// kept.
const checkingShare = 0.02

// Import adds the conversations that Export wrote, all of them or none, and
// gives them. Nothing that is there is changed: all get new ids; a folder of
// the same name is used, others are made. What was unfinished is taken as
// stopped. The text is read twice, first to check it, and never held as a whole;
// progress, which may be nil, is told how much of it is done, in bytes. Other
// writers get their turns meanwhile. Errors: ErrInvalid, which says where the
// text makes no sense; ErrNewer; that of ctx.
func (s *Store) Import(ctx context.Context, r io.ReadSeeker, progress func(done, total int64)) ([]Conversation, error) {
	list, err := s.importAll(ctx, r, progress)
	return list, s.failed("import", err)
}

func (s *Store) importAll(ctx context.Context, r io.ReadSeeker, progress func(done, total int64)) ([]Conversation, error) {
	from, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	told := time.Time{}
	pass := func(before, share float64, each func(*exportedConversation) error) error {
		if _, err := r.Seek(from, io.SeekStart); err != nil {
			return err
		}
		return readExport(&source{ctx: ctx, r: r}, func(e *exportedConversation, read int64) error {
			if now := time.Now(); progress != nil && now.Sub(told) >= importStep {
				told = now
				progress(int64(before*float64(end-from)+share*float64(read)), end-from)
			}
			return each(e)
		})
	}
	if err := pass(0, checkingShare, func(*exportedConversation) error { return nil }); err != nil {
		return nil, err
	}
	in := &imported{s: s, ctx: ctx}
	err = pass(checkingShare, 1-checkingShare, in.add)
	if err == nil {
		err = in.flush()
	}
	if err == nil {
		err = in.show()
	}
	in.end(err != nil)
	if err != nil {
		return nil, err
	}
	return in.list, nil
}

// imported are the conversations of an import, hidden until all are there.
type imported struct {
	s       *Store
	ctx     context.Context
	list    []Conversation
	folders []string // names of theirs
	tx      *sql.Tx  // of those that were added last
	since   time.Time
}

// add keeps a conversation that nobody sees yet.
func (in *imported) add(e *exportedConversation) (err error) {
	if in.tx == nil {
		if in.tx, err = in.s.writer.BeginTx(in.ctx, nil); err != nil {
			return err
		}
		in.since = time.Now()
	}
	c, err := importConversation(in.ctx, in.tx, e, "", timeOf(importing), func(id ID) { in.s.hidden.Store(id, nil) })
	if err != nil {
		in.s.hidden.Delete(c.ID)
		return err
	}
	in.list, in.folders = append(in.list, c), append(in.folders, e.Folder)
	if time.Since(in.since) < importStep {
		return nil
	}
	return in.flush()
}

// flush lets other writers have their turns.
func (in *imported) flush() error {
	if in.tx == nil {
		return nil
	}
	tx := in.tx
	in.tx = nil
	return tx.Commit()
}

// show lets all be seen, as one step.
func (in *imported) show() error {
	return in.s.write(in.ctx, "", func(tx *sql.Tx) error {
		folders, err := rows(in.ctx, tx, scanFolder, `SELECT id, name FROM folders WHERE deleted IS NULL`)
		if err != nil {
			return err
		}
		byName := map[string]ID{"": ""}
		for _, f := range folders {
			if _, ok := byName[f.Name]; !ok {
				byName[f.Name] = f.ID
			}
		}
		for i, name := range in.folders {
			if _, ok := byName[name]; !ok {
				f := Folder{ID: NewID(), Name: name}
				if err := insertFolder(in.ctx, tx, f); err != nil {
					return err
				}
				byName[name] = f.ID
			}
			c := &in.list[i]
			c.Folder, c.Deleted = byName[name], time.Time{}
			if err := one(in.ctx, tx, "conversation", `UPDATE conversations SET folder = ?, deleted = NULL WHERE id = ?`,
				c.Folder.null(), string(c.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// end lets go of the conversations. Where the import failed they are purged in
// the background.
func (in *imported) end(failed bool) {
	if in.tx != nil {
		_ = in.tx.Rollback() // its context may have ended, which rolls back too
	}
	var ids []string
	for _, c := range in.list {
		in.s.hidden.Delete(c.ID)
		ids = append(ids, string(c.ID))
	}
	if failed && len(ids) > 0 {
		select {
		case in.s.thrown <- ids:
		default: // many are: the next start finds these
		}
	}
}

// importConversation keeps a conversation as new; made is told its id before.
func importConversation(ctx context.Context, tx *sql.Tx, e *exportedConversation, folder ID, deleted time.Time, made func(ID)) (Conversation, error) {
	ids := map[string]ID{"": ""}
	for _, m := range e.Messages { // in this order, as versions are told apart by it
		ids[m.ID] = NewID()
	}
	c := Conversation{ID: NewID(), Folder: folder, Title: e.Title, System: e.System, Sampling: e.Sampling, Model: e.Model,
		Created: e.Created, Updated: e.Updated, Deleted: deleted, Leaf: ids[e.Leaf]}
	made(c.ID)
	if err := insertConversation(ctx, tx, c); err != nil {
		return c, err
	}
	messages := make([]Message, 0, len(e.Messages))
	for _, m := range e.Messages {
		messages = append(messages, Message{ID: ids[m.ID], Conversation: c.ID, Parent: ids[m.Parent], Answers: ids[m.Answers], Role: m.Role,
			Content: m.Content, Status: m.Status, Problem: m.Problem.with(m.Error), Note: m.Note.with(""), Tokens: m.Tokens,
			FirstToken: m.FirstToken, Duration: m.Duration, Model: m.Model, Created: m.Created})
	}
	if err := insertMessages(ctx, tx, messages...); err != nil {
		return c, err
	}
	for _, d := range e.Documents {
		if err := insertDocument(ctx, tx, Document{ID: NewID(), Conversation: c.ID, Message: ids[d.Message], Path: d.Path, Name: d.Name, Title: d.Title,
			Format: d.Format, Encoding: d.Encoding, Size: d.Size, Hash: d.Hash, Pages: d.Pages, Words: d.Words, Tokens: d.Tokens,
			TokensRead: d.TokensRead, Status: d.Status, Summary: d.Summary, SummaryWords: d.SummaryWords, Trained: d.Trained,
			Problem: d.Problem.with(d.Error), Notes: d.Notes, Created: d.Created}); err != nil {
			return c, err
		}
	}
	return c, nil
}
