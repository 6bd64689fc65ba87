package calls

type Guard struct{}

func (g *Guard) Do() error { return nil }

func DoValue() {}
