package length
