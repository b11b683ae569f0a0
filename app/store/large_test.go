package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The size that must stay quick.
const (
	manyConversations = 1000
	manyMessages      = 200 // in each
)

// large is a folder with data of that size, made once.
var large struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))

	}
	code := m.Run()
	if large.dir != "" {
		_ = os.RemoveAll(large.dir)
	}
	os.Exit(code)
}

const (
	rareWord    = "quinquagesima"
	rareChinese = "鹦鹉螺"
)

var (
	english = strings.Fields(`the of and to in is that it was for on are as with his they at be this have from or one had by words but not
		what all were we when your can said there use an each which she do how their if will up other about out many then them these so
		some her would make like him into time has look two more write go see number no way could people than first water been call who
		oil its now find long down day did get come made may part kernel shader memory device state token model reading summary`)
	chinese = []rune(`的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏兴`)
)

// prose makes a text of about so many characters, a fifth of all in Chinese.
func prose(r *rand.Rand, length int) string {
	var b strings.Builder
	if r.IntN(5) == 0 {
		for range length / 3 {
			b.WriteRune(chinese[r.IntN(len(chinese))])
		}
		return b.String()
	}
	for b.Len() < length {
		b.WriteString(english[r.IntN(len(english))])
		b.WriteByte(' ')
	}
	return b.String()
}

// openLarge opens the large data.
func openLarge(t testing.TB) *Store {
	t.Helper()
	if testing.Short() {
		t.Skip("makes 200,000 messages")
	}
	large.once.Do(func() { large.err = makeLarge(context.Background()) })
	if large.err != nil {
		t.Fatal(large.err)
	}
	return openAt(t, large.dir)
}

func makeLarge(ctx context.Context) (err error) {
	if large.dir, err = os.MkdirTemp("", "store"); err != nil {
		return err
	}
	s, err := Open(ctx, large.dir)
	if err != nil {
		return err
	}
	defer s.Close()
	// Written in few large pieces: else most of the time goes into merging the index.
	if _, err := s.writer.ExecContext(ctx, `INSERT INTO message_index(message_index, rank) VALUES ('hashsize', 200000000)`); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	const together = 100
	for c := 0; c < manyConversations; c += together {
		err := s.write(ctx, "fill", func(tx *sql.Tx) error {
			for n := range together {
				if err := fillConversation(ctx, tx, r, c+n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.Close()
}

// fillConversation makes one of manyMessages; the tenth holds the rare words.
func fillConversation(ctx context.Context, tx *sql.Tx, r *rand.Rand, number int) error {
	conv := Conversation{ID: NewID(), Title: prose(r, 30), Created: now(), Updated: now()}
	var list []Message
	parent := ID("")
	for i := range manyMessages {
		m := Message{ID: NewID(), Conversation: conv.ID, Parent: parent, Role: User, Status: Done, Created: now(), Content: prose(r, 60)}
		if i%2 == 1 {
			m.Role, m.Content = Assistant, prose(r, 200)
		}
		if number == 10 && i == 77 {
			m.Content = "before " + rareWord + " and " + rareChinese + " after"
		}
		list, parent = append(list, m), m.ID
	}
	conv.Leaf = parent
	if err := insertConversation(ctx, tx, conv); err != nil {
		return err
	}
	return insertMessages(ctx, tx, list...)
}

// quickest gives the shortest of several runs, for a busy machine's sake.
func quickest(t testing.TB, runs int, do func()) time.Duration {
	best := time.Duration(1 << 62)
	for range runs {
		start := time.Now()
		do()
		best = min(best, time.Since(start))
	}
	return best
}

func TestLargeIsQuick(t *testing.T) {
	ctx := t.Context()
	ok(t, openLarge(t).Close())
	info, _ := os.Stat(filepath.Join(large.dir, databaseName))
	t.Logf("%d MB", info.Size()>>20)
	const generous = 4 // times what is wanted, for slow and busy machines
	within := func(what string, want, got time.Duration) {
		t.Helper()
		t.Logf("%-28s %v", what, got.Round(10*time.Microsecond))
		if got > generous*want {
			t.Errorf("%s takes %v, %v is wanted", what, got, want)
		}
	}
	var s *Store
	var first []Conversation
	within("open, first page", 50*time.Millisecond, quickest(t, 3, func() {
		if s != nil {
			ok(t, s.Close())
		}
		s = must(Open(ctx, large.dir))(t)
		first = must(s.Conversations(ctx, Listing{Limit: 50}))(t)
	}))
	defer s.Close()
	if len(first) != 50 {
		t.Fatalf("%d conversations", len(first))
	}
	within("all conversations", 50*time.Millisecond, quickest(t, 3, func() { must(s.Conversations(ctx, Listing{}))(t) }))
	within("messages of one", 50*time.Millisecond, quickest(t, 3, func() {
		if n := len(must(s.Tree(ctx, first[7].ID))(t).Path()); n != manyMessages {
			t.Errorf("%d messages", n)
		}
	}))
	for _, q := range searches {
		within("search "+q.query, 100*time.Millisecond, quickest(t, 3, func() {
			hits := must(s.Search(ctx, q.query, 50))(t)
			if len(hits) < q.least || len(hits) > q.most {
				t.Errorf("%s: %d hits, from %d to %d are there", q.query, len(hits), q.least, q.most)
			}
		}))
	}
}

var searches = []struct {
	query       string
	least, most int
}{
	{rareWord, 1, 1}, {"QUINQUA " + rareChinese, 1, 1}, {rareChinese, 1, 1}, {"鹦鹉", 1, 1}, {"螺", 1, 1}, {"gesima and 螺 af", 1, 1},
	{"鹦鹉鹦鹉", 0, 0}, {"鹅", 0, 0}, {"zq", 0, 0}, {"zebra", 0, 0}, {"the", 50, 100}, {"memory device", 50, 100}, {"th", 50, 100}, {"e", 50, 100},
	{"的", 50, 100}, {"中国", 1, 100}, {"me de st", 50, 100}, {"water been call who oil its now find", 0, 100},
}

func BenchmarkSearch(b *testing.B) {
	s := openLarge(b)
	for _, q := range searches {
		b.Run(q.query, func(b *testing.B) {
			for b.Loop() {
				must(s.Search(b.Context(), q.query, 50))(b)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	ok(b, openLarge(b).Close())
	for b.Loop() {
		s := must(Open(b.Context(), large.dir))(b)
		must(s.Conversations(b.Context(), Listing{Limit: 50}))(b)
		ok(b, s.Close())
	}
}

// Writing an answer of 60 kB in pieces as they come from a model.
func BenchmarkAnswer(b *testing.B) {
	s := openNew(b)
	c := conversation(b, s, "")
	for b.Loop() {
		m := must(s.AddMessage(b.Context(), Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(b)
		a := must(s.StartAnswer(b.Context(), m.ID))(b)
		for i := range 60 {
			a.Append(fmt.Sprintf("%s %d", strings.Repeat("word ", 200), i))
			ok(b, a.flush())
		}
		ok(b, a.Finish(Result{Status: Done}))
	}
}
