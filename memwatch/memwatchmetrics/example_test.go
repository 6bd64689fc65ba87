package memwatchmetrics_test

import (
	"fmt"
	"maps"
	"time"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
)

// Stats is like those of the packages.
type Stats struct {
	Name       string        `json:"name"`
	State      string        `json:"state"`
	Refused    uint64        `json:"refused"`
	RetryAfter time.Duration `json:"retry_after_ns"`
}

func Example() {
	plan := memwatchmetrics.MustNew[Stats](memwatchmetrics.Config{})
	for i, m := range plan.Metrics() {
		fmt.Println(i, m.Name, m.Unit, m.Labels)
	}
	stats := Stats{Name: "orders", State: "open", Refused: 7, RetryAfter: 1500 * time.Millisecond}
	plan.Read(&stats, func(s memwatchmetrics.Sample) {
		fmt.Println(s.Metric, s.Labels, s.Value)
	})
	fmt.Println(plan.Namespace(), plan.Labels(stats))
	// Output:
	// 0 state  [state]
	// 1 refused  []
	// 2 retry_after s []
	// 0 [open] 1
	// 1 [] 7
	// 2 [] 1.5
	// bedplate map[name:orders]
}

// The stats of many by key, as of the breakers of a breaker.Group.
func ExampleEach() {
	type queue struct{ items []int }
	type stats struct {
		Items int `json:"items"`
	}
	queues := map[string]*queue{"mail": {items: []int{1, 2}}, "push": {}}
	all := memwatchmetrics.Each(maps.All(queues), func(q *queue) stats { return stats{Items: len(q.items)} })

	plan, err := memwatchmetrics.New[map[string]stats](memwatchmetrics.Config{Label: "queue"})
	if err != nil {
		panic(err)
	}
	values := all()
	plan.Read(&values, func(s memwatchmetrics.Sample) {
		fmt.Println(plan.Metrics()[s.Metric].Name, s.Labels, s.Value)
	})
	// Output:
	// items [mail] 2
	// items [push] 0
	// left_out [] 0
}

func ExampleWatcher() {
	w := memwatch.MustNew(memwatch.Config{Name: "api"})
	stats := memwatchmetrics.Watcher(w)
	s := stats()
	fmt.Println(s.Name, s.Verdict, s.Heap > 0)
	// Output: api insufficient true
}
