package store

import (
	"context"
	"net/url"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// Sessions is the jwt.RefreshStore in this database: a restart ends no session,
// and all processes know the same ones.
func (s *Store) Sessions() jwt.RefreshStore { return sessions{s} }

type sessions struct{ store *Store }

// name makes of any string a text that both databases take.
func name(s string) string { return url.QueryEscape(s) }

const (
	begin = `INSERT INTO sessions (subject, session, token, previous, replaced, expires) VALUES ($1, $2, $3, '', 0, $4)
		ON CONFLICT (subject, session) DO UPDATE
		SET token = excluded.token, previous = '', replaced = 0, expires = excluded.expires, successor = NULL
		WHERE sessions.expires <= $5`
	advance = `UPDATE sessions SET previous = token, token = $1, replaced = $2, expires = $3, successor = $4
		WHERE subject = $5 AND session = $6 AND token = $7 AND expires > $2`
	find = `SELECT previous, replaced, successor FROM sessions WHERE subject = $1 AND session = $2 AND expires > $3`
	end  = `DELETE FROM sessions WHERE subject = $1 AND session = $2`
)

// Rotate takes one step of a session. Each statement is atomic by itself: of
// two callers with the same token one advances, and the other finds out that it
// comes second.
func (s sessions) Rotate(ctx context.Context, step jwt.RefreshStep) (result jwt.RefreshResult, err error) {
	subject, session, from, to := name(step.Subject), name(step.Session), name(step.From), name(step.To)
	err = s.store.use(ctx, func(ctx context.Context, c conn) error {
		now := time.Now()
		expires := now.Add(step.Live).UnixMilli()
		if step.From == "" {
			n, err := c.exec(ctx, begin, subject, session, to, expires, now.UnixMilli())
			result.Outcome = jwt.Gone
			if n > 0 {
				result.Outcome = jwt.Rotated
			}
			return err
		}
		n, err := c.exec(ctx, advance, to, now.UnixMilli(), expires, step.Successor, subject, session, from)
		if err != nil || n > 0 {
			result.Outcome = jwt.Rotated
			return err
		}
		result.Outcome = jwt.Gone
		err = c.query(ctx, func(scan func(...any) error) error {
			var previous string
			var replaced int64
			var successor []byte
			if err := scan(&previous, &replaced, &successor); err != nil {
				return err
			}
			if previous == from && now.Sub(time.UnixMilli(replaced)) <= step.Grace {
				result = jwt.RefreshResult{Outcome: jwt.Replayed, Successor: successor}
			} else {
				result.Outcome = jwt.Reused
			}
			return nil
		}, find, subject, session, now.UnixMilli())
		if err == nil && result.Outcome == jwt.Reused {
			_, err = c.exec(ctx, end, subject, session)
		}
		return err
	})
	if err != nil {
		return jwt.RefreshResult{}, err
	}
	return result, nil
}

// Revoke ends a session of a subject, or with an empty session all of them.
func (s sessions) Revoke(ctx context.Context, subject, session string) error {
	return s.store.use(ctx, func(ctx context.Context, c conn) error {
		var err error
		if session == "" {
			_, err = c.exec(ctx, `DELETE FROM sessions WHERE subject = $1`, name(subject))
		} else {
			_, err = c.exec(ctx, end, name(subject), name(session))
		}
		return err
	})
}

// Alive reports whether there is such a session.
func (s sessions) Alive(ctx context.Context, subject, session string) (alive bool, err error) {
	err = s.store.use(ctx, func(ctx context.Context, c conn) error {
		return c.query(ctx, func(func(...any) error) error {
			alive = true
			return nil
		}, `SELECT 1 FROM sessions WHERE subject = $1 AND session = $2 AND expires > $3`,
			name(subject), name(session), time.Now().UnixMilli())
	})
	return alive, err
}

// ForgetExpired removes the sessions that are over.
func (s *Store) ForgetExpired(ctx context.Context) error {
	return s.use(ctx, func(ctx context.Context, c conn) error {
		_, err := c.exec(ctx, `DELETE FROM sessions WHERE expires <= $1`, time.Now().UnixMilli())
		return err
	})
}
