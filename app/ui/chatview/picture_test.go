package chatview

import (
	"testing"
	"time"

	"fyne.io/fyne/v2"

	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// scenes are what the pictures show.
var scenes = map[string]func(s *stage){
	"empty": func(*stage) {},
	"chat": func(s *stage) {
		s.fake.UpdateConversation(func(c *session.Conversation) {
			m := answer("m1", "A **state-space model** keeps one state of constant size:\n\n1. it reads a token,\n2. it updates the state,\n3. it forgets the token.\n\n"+
				"So its memory is the same after `10` tokens and after `1,000,000`.\n\n```python\nh = A*h + B*x\ny = C*h\n```", session.Complete)
			m.Versions, m.Version = []string{"m0", "m1"}, 1
			c.Tokens = 1234
			c.Messages = append(c.Messages,
				sessiontest.Message("u1", "user", "What is a state-space model, and why does its memory not grow?", session.Complete), m,
				sessiontest.Message("u2", "user", "用中文再说一遍", session.Complete),
				sessiontest.Message("m2", "assistant", "状态空间模型只保存一个**大小恒定**的状态：每读一个词元就更新一次，然后忘掉它。因此，无论文本有多长，内存", session.Streaming))
			c.Messages[3].Stats = session.Stats{Tokens: 38, Rate: 41.7, FirstToken: 120 * time.Millisecond}
			c.Phase = session.Writing
		})
		s.v.composer.entry.SetText("A draft of the next question")
	},
	"documents": func(s *stage) {
		s.fake.UpdateConversation(func(c *session.Conversation) {
			d := book()
			d.Stage, d.Message = session.ReadingText, "u"
			d.Progress = session.Progress{Done: 190_000, Total: 760_000, Rate: 900, ETA: 10*time.Minute + 33*time.Second}
			d.Partial = &session.Partial{Text: "The story begins in a salon in Petersburg in 1805, where **Anna Pavlovna** receives her guests.", Share: 0.24}
			m := sessiontest.Message("u", "user", "", session.Complete)
			m.Document = &d
			c.Messages = append(c.Messages, m)
			ready := book()
			ready.ID, ready.Title, ready.Name, ready.Beyond = "e", "", "a-rather-long-name-of-a-file-that-is-still-to-be-read-2024-final-version-3.pdf", 0
			bad := session.Document{ID: "f", Name: "secret.pdf", Stage: session.Unreadable,
				Problem: &session.Problem{Kind: session.KindEncrypted, Text: "This file is locked with a password. Save a copy without one, then drop that here."}}
			c.Documents = append(c.Documents, &ready, &bad)
		})
	},
	"faults": func(s *stage) {
		s.fake.UpdateConversation(func(c *session.Conversation) {
			talk(1)(c)
			m := answer("mb", "Part of an answ", session.Failed)
			m.Problem = &session.Problem{Kind: session.KindDeviceLost, Text: "run step: the graphics device was lost; load the model again"}
			c.Messages = append(c.Messages, sessiontest.Message("ub", "user", "And what else?", session.Complete), m)
		})
		s.fake.Update(func(s *session.Snapshot) {
			m := *s.Model
			m.State, m.Problem = session.Broken, &session.Problem{Kind: session.KindDeviceLost, Text: "The graphics device was lost."}
			s.Model = &m
		})
	},
	"edit": func(s *stage) {
		s.fake.UpdateConversation(talk(1))
		s.tap(look.T("chat.edit"))
	},
}

func TestPictures(t *testing.T) {
	for name, play := range scenes {
		for _, c := range []struct {
			mode look.Mode
			l    look.Language
		}{{look.Light, look.English}, {look.Dark, look.Chinese}} {
			full := name + "-" + string(c.mode) + "-" + string(c.l)
			t.Run(full, func(t *testing.T) {
				s := newStage(t, look.Options{Mode: c.mode}, c.l, nil)
				play(s)
				s.w.Canvas().Focus(nil) // a cursor blinks
				for deadline := time.Now().Add(10 * time.Second); !s.v.Coloured() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
					s.drain()
				}
				s.w.Resize(fyne.NewSize(780, 640))
				looktest.Picture(t, full, s.w.Canvas())
			})
		}
	}
}
