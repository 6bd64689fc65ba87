package name

type Config struct {
	Limit int
	Name  string
}
