package cluster_test

import (
	"context"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

func contractConfig() cluster.Config { return cluster.Config{Name: "contract", Work: func(ctx context.Context, w *cluster.Worker) error { return nil }} }
func exampleConfig() cluster.Config  { return contractConfig() }
func serveCalls(string) int          { return 0 }
func serveExample(string) int        { return 0 }
