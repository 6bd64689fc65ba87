package examples

type T struct{}

func (T) Called()        {}
func (T) Uncalled()      {}
func (T) String() string { return "" }

func Alone() {}

type hidden struct{}

func (hidden) Exported() {}
