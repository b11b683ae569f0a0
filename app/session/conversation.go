package session

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"kestrel/app/store"
)

// conversation is one that is open, or that work is done for.
type conversation struct {
	row      store.Conversation // without an ID until its first message is stored
	sampling Sampling
	tree     *store.Tree
	answers  map[store.ID]*answer // written since the session began
	docs     []*docState
	pending  []*answer        // that wait or are being written, the first asked first
	lengths  map[store.ID]int // tokens up to an answer, where they are known
	work     int              // tasks that wait or run

	views map[store.ID]*Message
	shown *Conversation
}

// answer is one that is or was written in this session.
type answer struct {
	conv    *conversation
	id      store.ID
	user    store.ID // the message it answers
	phase   Phase
	reading Progress
	text    strings.Builder
	status  Status
	problem *Problem
	note    Note
	stats   Stats
	model   string
	asked   time.Time
	keep    *store.Answer
	doc     *docState // that it sums up
}

func newConversation(row store.Conversation) *conversation {
	c := &conversation{row: row, sampling: DefaultSampling(), tree: &store.Tree{}, answers: map[store.ID]*answer{},
		lengths: map[store.ID]int{}, views: map[store.ID]*Message{}}
	if len(row.Sampling) > 0 {
		var s Sampling
		if json.Unmarshal(row.Sampling, &s) == nil { // settings that cannot be read are the default ones
			c.sampling = s
		}
	}
	return c
}

// conversation returns one from the store, or the live one.
func (a *Actor) conversation(id store.ID) (*conversation, bool) {
	if c := a.convs[id]; c != nil {
		return c, true
	}
	row, err := a.o.Store.Conversation(a.ctx, id)
	if !a.stored(err) {
		return nil, false
	}
	c := newConversation(row)
	if c.tree, err = a.o.Store.Tree(a.ctx, id); !a.stored(err) {
		return nil, false
	}
	rows, err := a.o.Store.Documents(a.ctx, id)
	if !a.stored(err) {
		return nil, false
	}
	for _, row := range rows {
		d := storedDocument(c, row)
		a.estimate(d)
		c.docs = append(c.docs, d)
	}
	states, err := a.o.Store.States(a.ctx, id)
	if !a.stored(err) {
		return nil, false
	}
	for _, s := range states {
		if s.Message != "" {
			c.lengths[s.Message] = s.Tokens
		}
	}
	a.convs[id] = c
	a.takeFiles(c)
	return c, true
}

// everyConversation are those that are open or that work is done for.
func (a *Actor) everyConversation() []*conversation {
	var list []*conversation
	if a.open != nil && a.open.row.ID == "" {
		list = append(list, a.open)
	}
	for _, c := range a.convs {
		list = append(list, c)
	}
	return list
}

// tidy forgets a conversation that nothing needs any more.
func (a *Actor) tidy(c *conversation) {
	if c == nil || c == a.open || c.work > 0 {
		return
	}
	for _, d := range c.docs {
		if d.row.ID == "" {
			return // only known here
		}
	}
	if c.row.ID != "" && a.convs[c.row.ID] == c {
		delete(a.convs, c.row.ID)
	}
}

// show opens a conversation.
func (a *Actor) show(c *conversation) {
	old := a.open
	a.open = c
	if old == nil || old == c {
		return
	}
	if old.row.ID == "" { // its files are stored, and inspected anew
		for _, d := range old.docs {
			d.stopInspection()
		}
	}
	a.tidy(old)
}

// keep stores a draft.
func (a *Actor) keep(c *conversation, title string) bool {
	if c.row.ID != "" {
		return true
	}
	row := c.row
	if row.Title == "" {
		row.Title = titleOf(title)
	}
	row.Sampling, row.Model = c.sampling.json(), a.model.Request.Model
	row, err := a.o.Store.CreateConversation(a.ctx, row)
	if !a.stored(err) {
		return false
	}
	c.row = row
	a.convs[row.ID] = c
	a.changes++
	a.stored(a.o.Store.SetDraftFiles(a.ctx, "", nil)) // they are this one's now
	a.keepFiles(c)
	return true
}

func (s Sampling) json() json.RawMessage {
	data, err := json.Marshal(s)
	if err != nil {
		return nil // NaN in a number: the default
	}
	return data
}

// titleOf makes a title of a first message.
func titleOf(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	first = strings.Join(strings.Fields(first), " ")
	const most = 60
	if runes := []rune(first); len(runes) > most {
		cut := string(runes[:most])
		if at := strings.LastIndexByte(cut, ' '); at > most/2 {
			cut = cut[:at]
		}
		return cut + "…"
	}
	return first
}

// reread reads the messages again after a change.
func (a *Actor) reread(c *conversation) bool {
	tree, err := a.o.Store.Tree(a.ctx, c.row.ID)
	if !a.stored(err) {
		return false
	}
	c.tree = tree
	a.changes++
	return true
}

// add stores a message and shows it.
func (a *Actor) add(c *conversation, m store.Message) (store.Message, bool) {
	m.Conversation = c.row.ID
	m, err := a.o.Store.AddMessage(a.ctx, m)
	if !a.stored(err) {
		return m, false
	}
	return m, a.reread(c)
}

// document is the one that a message brought.
func (c *conversation) document(message store.ID) *docState {
	for _, d := range c.docs {
		if message != "" && d.row.Message == message {
			return d
		}
	}
	return nil
}

// doing is what happens in the conversation, and how far what is read is.
func (c *conversation) doing() (Phase, Progress) {
	if len(c.pending) > 0 {
		for _, ans := range c.pending {
			if ans.phase != Waiting {
				return ans.phase, ans.reading
			}
		}
		return Waiting, Progress{}
	}
	phase := Idle
	for _, d := range c.docs {
		switch d.stage {
		case ReadingText:
			return ReadingDocuments, d.progress
		case Queued:
			phase = ReadingDocuments
		}
	}
	return phase, Progress{}
}

// viewMessage is a message as the window shows it.
func (c *conversation) viewMessage(m store.Message) *Message {
	v := &Message{
		ID: string(m.ID), Role: string(m.Role), Text: m.Content, Created: m.Created, Model: m.Model, Note: m.Note,
		Stats: Stats{Tokens: m.Tokens, FirstToken: m.FirstToken},
	}
	if seconds := (m.Duration - m.FirstToken).Seconds(); m.Tokens > 1 && seconds > 0 {
		v.Stats.Rate = float64(m.Tokens-1) / seconds
	}
	switch m.Status {
	case store.Done:
		v.Status = Complete
		switch {
		case m.Problem.Kind == NoteCircled:
			v.Status = Circled
		case !m.Problem.None():
			v.Status = Cut
		}
	case store.Stopped:
		v.Status = Stopped
	case store.Failed:
		v.Status, v.Problem = Failed, storedProblem(m.Problem, KindOther)
	default:
		v.Status = Streaming
	}
	ids, at := c.tree.Versions(m.ID)
	for _, id := range ids {
		v.Versions = append(v.Versions, string(id))
	}
	v.Version = at
	if live := c.answers[m.ID]; live != nil {
		v.Text, v.Status, v.Problem, v.Note, v.Stats, v.Model = live.text.String(), live.status, live.problem, live.note, live.stats, live.model
	}
	if d := c.document(m.ID); d != nil {
		v.Text, v.Document = "", d.view()
	}
	if old := c.views[m.ID]; old != nil && reflect.DeepEqual(old, v) {
		return old
	}
	c.views[m.ID] = v
	return v
}

// view is the conversation as the window shows it.
func (c *conversation) view() *Conversation {
	v := &Conversation{
		ID: string(c.row.ID), Folder: string(c.row.Folder), Title: c.row.Title, System: c.row.System, Sampling: c.sampling,
		Tokens: c.lengths[c.tree.Leaf()],
	}
	v.Phase, v.Reading = c.doing()
	for _, m := range c.tree.Path() {
		v.Messages = append(v.Messages, c.viewMessage(m))
	}
	for _, d := range c.docs {
		v.Documents = append(v.Documents, d.view())
	}
	if c.shown != nil && reflect.DeepEqual(c.shown, v) {
		return c.shown
	}
	c.shown = v
	return v
}

// view is all that the window shows.
func (a *Actor) view() *Snapshot {
	a.seq++
	s := &Snapshot{Seq: a.seq, Model: a.model, Changes: a.changes, Notices: a.notices}
	for _, t := range a.transfers {
		s.Transfers = append(s.Transfers, t.view)
	}
	if a.open != nil {
		s.Conversation = a.open.view()
	}
	busy := func(t *task, waiting bool) {
		if t.conv == nil {
			return
		}
		act := Activity{Conversation: string(t.conv.row.ID), Waiting: waiting}
		if t.doc != nil {
			act.Document = t.doc.id
		}
		s.Busy = append(s.Busy, act)
	}
	for _, t := range a.running {
		busy(t, t.answer != nil && t.answer.phase == Waiting) // for memory
	}
	for _, t := range a.queue {
		busy(t, true)
	}
	return s
}
