package prefix

import (
	"errors"
	"fmt"
)

var errBare = errors.New("bare")

func f(n int) error {
	if n < 0 {
		panic("negative")
	}
	if n == 0 {
		panic(fmt.Sprintf("zero: %d", n))
	}
	if n == 1 {
		panic("prefix: one")
	}
	if n == 2 {
		return fmt.Errorf("%w: more", errBare)
	}
	if n == 3 {
		return errors.New("prefix: three")
	}
	return fmt.Errorf("wrong: "+"%d", n)
}
