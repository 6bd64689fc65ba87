package cluster_test

import "github.com/bedplate/bedplate/workerpool/cluster"

func exampleConfig() cluster.Config { return contractConfig() }
func serveExample(string) int       { return 0 }
