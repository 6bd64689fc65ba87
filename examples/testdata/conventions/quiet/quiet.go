package quiet

import (
	"fmt"
	"log/slog"
	"os"
)

func f() string {
	fmt.Println("hello")
	fmt.Fprintln(os.Stderr, "hello")
	slog.Info("hello")
	return fmt.Sprint("hello")
}
