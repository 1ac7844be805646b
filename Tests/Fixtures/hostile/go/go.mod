module villain

go 1.18
