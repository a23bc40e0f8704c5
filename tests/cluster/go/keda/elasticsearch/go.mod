module github.com/elastic/go-elasticsearch/v9

go 1.26.8

require github.com/elastic/elastic-transport-go/v8 v8.11.0
