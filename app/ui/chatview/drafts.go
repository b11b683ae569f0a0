package chatview

import "time"

// Drafts are the texts that are written and not sent, by conversation.
func (v *View) Drafts() map[string]string {
	v.keepDraft()
	return v.drafts
}

// draftWait is how long after the last letter a draft is kept.
const draftWait = 500 * time.Millisecond

// draftChanged has the draft kept a moment later.
func (v *View) draftChanged() {
	if v.keeping != nil {
		v.keeping()
		v.keeping = nil
	}
	if v.deps.After != nil {
		v.keeping = v.deps.After(draftWait, v.keepDraft)
	}
}

// keepDraft keeps what is written.
func (v *View) keepDraft() { v.setDraft(conversationID(v.shown), v.composer.entry.Text) }

func (v *View) setDraft(conversation, text string) {
	if v.keeping != nil {
		v.keeping()
		v.keeping = nil
	}
	if v.drafts[conversation] == text {
		return
	}
	v.drafts[conversation] = text
	if v.deps.KeepDraft != nil {
		v.deps.KeepDraft(conversation, text)
	}
}
