package documented

type Bare struct {
	Field int

	// A comment for two.
	First  int
	Second int

	Third int
	quiet int
}

// Known is documented.
type Known int

func (Known) Method() {}

func Func() {}

const Number = 1

// Group comments count.
const (
	One = 1
	Two = 2
)

var Value = 3 // a comment beside it counts too

var Other int
