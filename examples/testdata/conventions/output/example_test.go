package output_test

import "fmt"

func Example() {
	fmt.Println("checked")
	// Output: checked
}

func Example_unordered() {
	fmt.Println("checked")
	// Unordered output:
	// checked
}

func Example_silent() {
	fmt.Println("never run")
}
