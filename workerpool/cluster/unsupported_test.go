//go:build !unix

package cluster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOtherSystemsAreToldSo(t *testing.T) {
	_, err := New(Config{Work: func(context.Context, *Worker) error { return nil }})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = NewJobs(JobsConfig{})
	require.ErrorIs(t, err, ErrUnsupported)
}
