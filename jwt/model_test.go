package jwt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// modelStore is a RefreshStore by its words: the whole history of each session,
// looked up from the beginning.
type modelStore struct {
	capacity, perSubject int
	sessions             []*modelSession
}

type modelSession struct {
	subject, id string
	tokens      []string // all there ever were
	replaced    time.Time
	successor   string
	end         time.Time
}

func (m *modelStore) find(subject, id string) *modelSession {
	for _, s := range m.sessions {
		if s.subject == subject && s.id == id {
			return s
		}
	}
	return nil
}

func (m *modelStore) drop(keep func(*modelSession) bool) {
	m.sessions = slices.DeleteFunc(m.sessions, func(s *modelSession) bool { return !keep(s) })
}

func (m *modelStore) rotate(step jwt.RefreshStep) (jwt.Outcome, string) {
	now := time.Now()
	m.drop(func(s *modelSession) bool { return now.Before(s.end) })
	s := m.find(step.Subject, step.Session)
	switch {
	case s == nil && step.From == "":
		var mine []*modelSession
		for _, s := range m.sessions {
			if s.subject == step.Subject {
				mine = append(mine, s)
			}
		}
		if len(mine) == m.perSubject {
			m.drop(func(s *modelSession) bool { return s != mine[0] })
		}
		if len(m.sessions) == m.capacity {
			return 0, "full"
		}
		m.sessions = append(m.sessions, &modelSession{subject: step.Subject, id: step.Session, tokens: []string{step.To}, end: now.Add(step.Live)})
		return jwt.Rotated, ""
	case s == nil || step.From == "":
		return jwt.Gone, ""
	}
	n := len(s.tokens)
	switch {
	case step.From == s.tokens[n-1]:
		s.tokens, s.replaced, s.successor, s.end = append(s.tokens, step.To), now, string(step.Successor), now.Add(step.Live)
		return jwt.Rotated, ""
	case n > 1 && step.From == s.tokens[n-2] && now.Sub(s.replaced) <= step.Grace:
		return jwt.Replayed, s.successor
	}
	m.drop(func(o *modelSession) bool { return o != s })
	return jwt.Reused, ""
}

// runModel plays operations, three bytes each, on a MemoryStore and on the model.
func runModel(t *testing.T, ops []byte) {
	synctest.Test(t, func(t *testing.T) {
		m := &modelStore{capacity: 5, perSubject: 3}
		s := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{Capacity: 5, PerSubject: 3})
		next := 0
		for ; len(ops) >= 3; ops = ops[3:] {
			subject, id := fmt.Sprint("u", ops[1]%3), fmt.Sprint("s", ops[1]/3%4)
			switch ops[0] % 8 {
			case 0, 1, 2, 3, 4: // a step from one of the tokens there were
				next++
				step := jwt.RefreshStep{
					Subject: subject, Session: id, To: fmt.Sprint("t", next), Live: time.Duration(ops[2]%5+1) * time.Minute,
					Grace: 10 * time.Second, Successor: fmt.Append(nil, "after ", next),
				}
				if ms := m.find(subject, id); ms != nil && ops[0]%8 > 0 {
					step.From = ms.tokens[max(0, len(ms.tokens)-1-int(ops[2]/5%4)/2)]
				} else if ops[2]%7 == 0 {
					step.From = "never"
				}
				want, successor := m.rotate(step)
				got, err := s.Rotate(t.Context(), step)
				if successor == "full" {
					require.Equal(t, jwt.ErrFull, err)
					break
				}
				require.NoError(t, err)
				require.Equal(t, want, got.Outcome, "%+v", step)
				require.Equal(t, successor, string(got.Successor))
			case 5:
				if ops[2]%4 == 0 {
					id = ""
				}
				m.drop(func(s *modelSession) bool { return s.subject != subject || id != "" && s.id != id })
				require.NoError(t, s.Revoke(t.Context(), subject, id))
			default:
				time.Sleep(time.Duration(ops[2]%64) * time.Second)
			}
			ms := m.find(subject, id)
			alive, err := s.Alive(t.Context(), subject, id)
			require.NoError(t, err)
			require.Equal(t, ms != nil && time.Now().Before(ms.end), alive)
		}
	})
}

func TestMemoryStoreFollowsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		ops := make([]byte, 600)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		runModel(t, ops)
	}
}

func TestMemoryStoreKeepsWithinItsBounds(t *testing.T) {
	ctx := context.Background()
	s := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{Capacity: 2, PerSubject: 2})
	begin := func(subject, id string) error {
		_, err := s.Rotate(ctx, jwt.RefreshStep{Subject: subject, Session: id, To: "t", Live: time.Hour})
		return err
	}
	require.NoError(t, begin("a", "1"))
	require.NoError(t, begin("a", "2"))
	require.Equal(t, jwt.ErrFull, begin("b", "1"), "nobody else's session ends for it")
	require.NoError(t, begin("a", "3"))
	alive, err := s.Alive(ctx, "a", "1")
	require.NoError(t, err)
	require.False(t, alive, "but one's own oldest does")
	require.NoError(t, s.Revoke(ctx, "a", ""))
	require.NoError(t, begin("b", "1"))
	res, err := s.Rotate(ctx, jwt.RefreshStep{Subject: "b", Session: "1", To: "x", Live: time.Hour})
	require.NoError(t, err)
	require.Equal(t, jwt.Gone, res.Outcome, "a session begins once")
}

func TestNewMemoryStoreRefuses(t *testing.T) {
	for field, cfg := range map[string]jwt.MemoryStoreConfig{"Capacity": {Capacity: -1}, "PerSubject": {PerSubject: -1}} {
		_, err := jwt.NewMemoryStore(cfg)
		require.ErrorContains(t, err, field+" is -1")
		require.Panics(t, func() { jwt.MustNewMemoryStore(cfg) })
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	require.Equal(t, "rotated replayed reused gone Outcome(0)", fmt.Sprintf("%v %v %v %v %v", jwt.Rotated, jwt.Replayed, jwt.Reused, jwt.Gone, jwt.Outcome(0)))
}
