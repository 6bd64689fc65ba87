package files

import "errors"

type Stats struct{}

type Hooks struct{}

var ErrFull = errors.New("files: full")
