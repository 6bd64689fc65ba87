package examples_test

func ExampleT() {
	var t examples.T
	t.Called()
}
