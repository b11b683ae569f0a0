package store

import "slices"

// Tree is the messages of a conversation with all their versions, as they were
// when it was read. It is immutable; messages are in the order they were made.
type Tree struct {
	messages []Message
	at       map[ID]int
	children map[ID][]int // of "", the roots
	leaf     ID
}

func newTree(messages []Message, leaf ID) *Tree {
	t := &Tree{messages: messages, at: make(map[ID]int, len(messages)), children: map[ID][]int{}, leaf: leaf}
	for i, m := range messages {
		t.at[m.ID] = i
		t.children[m.Parent] = append(t.children[m.Parent], i)
	}
	return t
}

// Len is the number of messages in all versions.
func (t *Tree) Len() int { return len(t.messages) }

// All gives every message, in the order they were made.
func (t *Tree) All() []Message { return slices.Clone(t.messages) }

// Message gives a message, and whether there is such.
func (t *Tree) Message(id ID) (Message, bool) {
	if i, ok := t.at[id]; ok {
		return t.messages[i], true
	}
	return Message{}, false
}

// Leaf is the last message of the version that is shown, "" in an empty tree.
func (t *Tree) Leaf() ID { return t.leaf }

// Path is the version that is shown, from the first message to the leaf.
func (t *Tree) Path() []Message { return t.PathTo(t.leaf) }

// PathTo gives the messages from the first to this one, nil if it is not there.
func (t *Tree) PathTo(id ID) []Message {
	var path []Message
	for i, ok := t.at[id]; ok; i, ok = t.at[t.messages[i].Parent] {
		path = append(path, t.messages[i])
	}
	slices.Reverse(path)
	return path
}

// Versions gives the messages that share this one's parent, the first made
// first, and which of them it is.
func (t *Tree) Versions(id ID) (versions []ID, index int) {
	i, ok := t.at[id]
	if !ok {
		return nil, -1
	}
	for k, n := range t.children[t.messages[i].Parent] {
		if n == i {
			index = k
		}
		versions = append(versions, t.messages[n].ID)
	}
	return versions, index
}

// Children gives the messages below one; of "", the first messages.
func (t *Tree) Children(id ID) []ID {
	var ids []ID
	for _, n := range t.children[id] {
		ids = append(ids, t.messages[n].ID)
	}
	return ids
}

// Newest gives the leaf to show for a version: from the message down, always by
// the child made last.
func (t *Tree) Newest(id ID) ID {
	for {
		below := t.children[id]
		if len(below) == 0 {
			return id
		}
		id = t.messages[below[len(below)-1]].ID
	}
}
