package ui

import (
	"fmt"
	"testing"

	"kestrel/app/library"
	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
	"kestrel/app/ui/settings"
	"kestrel/engine"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// TestErrorsInTheWindow: what the engine, a device, a download and a file do wrong
// is said in the window's language, with its figures, and its own words below.
func TestErrorsInTheWindow(t *testing.T) {
	full := session.ProblemOf(fmt.Errorf("m: %w", &engine.MemoryError{Memory: engine.Memory{Device: 14 << 30, Budget: 7 << 30, DeviceName: "RX 7600",
		Advice: "it would fit as Q4_K", Smaller: []engine.Alternative{{Quant: weights.Q4_K, Device: 4 << 30}}}}))
	torn := session.ProblemOf(fmt.Errorf("load: %w", &weights.FileError{Kind: weights.ErrMissingTensor, File: "/m/model.gguf", Tensor: "blk.9.ssm_a", Problem: "not in the file"}))
	disk := session.ProblemOf(&library.Error{Op: "pull", Name: "a/b", Kind: library.ErrNoSpace, Problem: "too much", Need: 15 << 30, Free: 3 << 30})
	old := vulkan.Refusal{Kind: vulkan.RefusedVersion, Name: "1.0.2"}
	lists := []vulkan.DeviceInfo{radeon, {Index: 1, Name: "GeForce 210", Type: vulkan.Discrete, Refusal: old, Reason: old.String()}}
	for _, l := range []look.Language{look.English, look.Chinese} {
		t.Run(string(l), func(t *testing.T) {
			b := open(t, settings.Preferences{Language: l, Welcomed: true}, nil)
			said := map[look.Language][]string{
				look.English: {"14.0 GiB of device memory", "RX 7600 has 7.0 GiB free", "Q4_K (4.0 GiB)", "“blk.9.ssm_a” are missing", "15.0 GiB are needed", "3.0 GiB free", "with a reservation", "Details: "},
				look.Chinese: {"14.0 GiB 设备内存", "RX 7600 可用的只有 7.0 GiB", "Q4_K (4.0 GiB)", "缺少权重“blk.9.ssm_a”", "需要 15.0 GiB", "只剩 3.0 GiB", "有一点要注意", "详情："},
			}
			b.f.UpdateConversation(func(c *session.Conversation) {
				failed := sessiontest.Message("m1", "assistant", "", session.Failed)
				failed.Problem = torn
				c.Messages = []*session.Message{sessiontest.Message("m0", "user", "?", session.Complete), failed}
				c.Phase = session.Idle
			})
			b.f.Update(func(s *session.Snapshot) {
				m := *s.Model
				m.State, m.Problem, m.Warnings = session.Broken, full, []string{"the tokenizer has two spare tokens"}
				s.Model = &m
				s.Notices = []session.Notice{{ID: 1, Problem: *disk}}
			})
			b.shows(said[l]...)
			for other, pieces := range said {
				if other != l {
					b.hides(pieces[0], pieces[3], pieces[4], pieces[7])
				}
			}
			b.shows("the tokenizer has two spare tokens", "not in the file") // the details

			b.f.DeviceList = lists
			b.openChooser()
			b.shows("GeForce 210")
			if l == look.Chinese {
				b.shows("它只支持 Vulkan 1.0.2")
				b.hides("it offers Vulkan")
			} else {
				b.shows("it offers Vulkan 1.0.2")
			}
		})
	}
}
