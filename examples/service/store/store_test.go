package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database makes an empty database and says how to open it, as often as wanted.
type database func(t *testing.T) store.Config

func sqlite(t *testing.T) store.Config {
	return store.Config{Path: filepath.Join(t.TempDir(), "service.db")}
}

// postgres makes a database on the server at DATABASE_URL, or on the one of this
// machine if it lets everybody in, and removes it in the end.
func postgres(t *testing.T) store.Config {
	server := os.Getenv("DATABASE_URL")
	if server == "" {
		server = "postgres://postgres@127.0.0.1:5432/postgres?connect_timeout=2"
	}
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Skipf("there is no PostgreSQL server: %v", err)
	}
	name := "bedplate_service_" + strings.ToLower(rand.Text()[:12])
	_, err = admin.Exec(ctx, "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, errors.Join(err, admin.Close(ctx)))
	})
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return store.Config{URL: u.String()}
}

func open(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Drain(context.Background())) })
	return s
}

// eachDatabase runs a test on both databases.
func eachDatabase(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("SQLite", func(t *testing.T) { test(t, sqlite) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, postgres) })
}

var ctx = context.Background()

func user(t *testing.T, s *store.Store, email string) store.User {
	t.Helper()
	u := store.User{ID: rand.Text(), Email: email, Password: "hash", Created: time.UnixMilli(1_795_780_000_123)}
	require.NoError(t, s.CreateUser(ctx, u))
	return u
}

func link(u store.User, slug string) store.Link {
	return store.Link{Slug: slug, Owner: u.ID, URL: "https://example.com/" + slug, Created: time.UnixMilli(1_795_780_000_456)}
}

func TestStoreKeepsAccounts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		ada := user(t, s, `ada'"; DROP TABLE users --@example.com`)
		got, err := s.UserByEmail(ctx, ada.Email)
		require.NoError(t, err)
		require.Equal(t, ada, got)
		_, err = s.UserByEmail(ctx, "nobody@example.com")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.CreateUser(ctx, store.User{ID: "other", Email: ada.Email}), store.ErrExists)

		require.NoError(t, s.CreateLink(ctx, link(ada, "one")))
		profile, links, err := s.Profile(ctx, ada.ID)
		require.NoError(t, err)
		require.Equal(t, ada.Email, profile.Email)
		require.True(t, profile.Created.Equal(ada.Created))
		require.EqualValues(t, 1, links)
		_, _, err = s.Profile(ctx, "nobody")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestStoreKeepsLinks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		ada, bob := user(t, s, "ada@example.com"), user(t, s, "bob@example.com")
		require.NoError(t, s.CreateLink(ctx, link(ada, "one")))
		require.ErrorIs(t, s.CreateLink(ctx, link(bob, "one")), store.ErrExists)
		got, err := s.Link(ctx, "one")
		require.NoError(t, err)
		require.Equal(t, link(ada, "one"), got)
		_, err = s.Link(ctx, "two")
		require.ErrorIs(t, err, store.ErrNotFound)

		require.ErrorIs(t, s.DeleteLink(ctx, bob.ID, "one"), store.ErrNotFound, "a link of somebody else")
		require.NoError(t, s.DeleteLink(ctx, ada.ID, "one"))
		require.ErrorIs(t, s.DeleteLink(ctx, ada.ID, "one"), store.ErrNotFound)
	})
}

func TestStoreListsLinksByAgeAndBySlug(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		ada, bob := user(t, s, "ada@example.com"), user(t, s, "bob@example.com")
		var links []store.Link
		for i := range 10 {
			l := link(ada, fmt.Sprintf("slug-%d", i))
			l.Created = l.Created.Add(time.Duration(i%3) * time.Second)
			links = append(links, l)
		}
		taken, err := s.CreateLinks(ctx, append(links, link(bob, "bobs"), link(bob, "slug-3")))
		require.NoError(t, err)
		require.Equal(t, []int{11}, taken)

		newest, err := s.Newest(ctx, ada.ID, 4)
		require.NoError(t, err)
		require.Equal(t, []store.Link{links[2], links[5], links[8], links[1]}, newest)
		var bySlug []store.Link
		for after := ""; ; {
			page, err := s.After(ctx, ada.ID, after, 3)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			bySlug, after = append(bySlug, page...), page[len(page)-1].Slug
		}
		require.Equal(t, links, bySlug)
	})
}

func TestStoreCreatesAllLinksOfABatchOrNone(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		ada := user(t, s, "ada@example.com")
		_, err := s.CreateLinks(ctx, []store.Link{link(ada, "one"), link(store.User{ID: "nobody"}, "two")})
		require.Error(t, err, "an owner that does not exist")
		_, err = s.Link(ctx, "one")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.CreateLink(ctx, link(ada, "one")), "the connection is usable, and not in a transaction")
	})
}

func TestStoreLosesNoHitOfManyWriters(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		cfg := d(t)
		a, b := open(t, cfg), open(t, cfg) // as two processes
		ada := user(t, a, "ada@example.com")
		_, err := a.CreateLinks(ctx, []store.Link{link(ada, "one"), link(ada, "two")})
		require.NoError(t, err)
		var writers sync.WaitGroup
		errs := make(chan error, 8)
		for i := range 8 {
			s := []*store.Store{a, b}[i%2]
			writers.Go(func() {
				for range 20 {
					if err := s.AddHits(ctx, map[string]int64{"one": 1, "two": 2, "gone": 1}); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			})
		}
		writers.Wait()
		for range 8 {
			require.NoError(t, <-errs)
		}
		for slug, hits := range map[string]int64{"one": 160, "two": 320} {
			l, err := b.Link(ctx, slug)
			require.NoError(t, err)
			require.Equal(t, hits, l.Hits)
		}
	})
}

func TestStoreOpensForManyProcessesAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		cfg := d(t)
		stores := make([]*store.Store, 4)
		errs := make([]error, len(stores))
		var opening sync.WaitGroup
		for i := range stores {
			opening.Go(func() { stores[i], errs[i] = store.Open(ctx, cfg) })
		}
		opening.Wait()
		for i, s := range stores {
			require.NoError(t, errs[i])
			require.NoError(t, s.Drain(ctx))
		}
	})
}

func TestStoreSessionsAreARefreshStore(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		var cfg store.Config
		jwttest.Suite{
			Open: func(t *testing.T) jwt.RefreshStore {
				cfg = d(t)
				return open(t, cfg).Sessions()
			},
			Another: func(t *testing.T) jwt.RefreshStore { return open(t, cfg).Sessions() },
		}.Run(t)
	})
}

func TestStoreForgetsExpiredSessions(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		for session, live := range map[string]time.Duration{"old": -time.Second, "new": time.Hour} {
			_, err := s.Sessions().Rotate(ctx, jwt.RefreshStep{Subject: "ada", Session: session, To: "1", Live: live})
			require.NoError(t, err)
		}
		require.NoError(t, s.ForgetExpired(ctx))
		alive, err := s.Sessions().Alive(ctx, "ada", "new")
		require.NoError(t, err)
		require.True(t, alive)
	})
}

func TestStoreSaysUnavailableWhileBrokenAndComesBack(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		ada := user(t, s, "ada@example.com")
		s.Break(true)
		for range 3 {
			_, err := s.UserByEmail(ctx, ada.Email)
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
		require.ErrorIs(t, s.Health(ctx), store.ErrUnavailable)
		require.Zero(t, s.Stats().Idle)
		require.NotZero(t, s.Stats().CreateFailed)
		require.Contains(t, s.LastError(), "refuses")
		s.Break(false)
		require.Eventually(t, func() bool { return s.Health(ctx) == nil }, 10*time.Second, 10*time.Millisecond)
		got, err := s.UserByEmail(ctx, ada.Email)
		require.NoError(t, err)
		require.Equal(t, ada, got)
		require.Empty(t, s.LastError())
	})
}

func TestStoreHeedsContext(t *testing.T) {
	eachDatabase(t, func(t *testing.T, d database) {
		s := open(t, d(t))
		done, cancel := context.WithCancel(ctx)
		cancel()
		_, err := s.UserByEmail(done, "ada@example.com")
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, store.ErrUnavailable)
		_, err = s.UserByEmail(ctx, "ada@example.com")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestStoreRefusesAfterDrain(t *testing.T) {
	s, err := store.Open(ctx, sqlite(t))
	require.NoError(t, err)
	require.NoError(t, s.Drain(ctx))
	_, err = s.Link(ctx, "one")
	require.ErrorIs(t, err, store.ErrUnavailable)
}

func TestStoreOpenSaysWhatIsWrong(t *testing.T) {
	_, err := store.Open(ctx, store.Config{})
	require.ErrorContains(t, err, "Config.Path")
	_, err = store.Open(ctx, store.Config{URL: "postgres://%"})
	require.Error(t, err)
	_, err = store.Open(ctx, store.Config{Path: filepath.Join(t.TempDir(), "none", "service.db")})
	require.ErrorIs(t, err, store.ErrUnavailable)
}
