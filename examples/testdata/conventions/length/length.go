package length

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line

// line
