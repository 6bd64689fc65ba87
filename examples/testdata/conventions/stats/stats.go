package stats

type Stats struct {
	Good    uint64 `json:"good_calls"`
	Camel   uint64 `json:"camelCase"`
	Untaged uint64
	Pointer *int `json:"pointer"`
}

type T struct{}

func (*T) Stats() *Stats { return nil }
