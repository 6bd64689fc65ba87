package constructors

type T struct{}

type Option func(*T)

func New(n int) *T { return nil }

func NewWithLimit(n int) (*T, error) { return nil, nil }

func init() {}

func Newton() {}
