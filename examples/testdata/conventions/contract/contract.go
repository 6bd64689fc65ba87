package contract

type T struct{}

func (*T) Close() error { return nil }
