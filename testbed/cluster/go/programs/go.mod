module slipway.test/programs

go 1.26.8
