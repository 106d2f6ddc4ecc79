module readability

go 1.24
