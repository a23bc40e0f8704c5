// Package scalers without most of its scalers: what KEDA's builder calls for those, so that it compiles.
//
// Source: the calls in pkg/scaling/scalers_builder.go of the version in go.mod; the compiler names what lacks.
package scalers

import "errors"

// In KEDA it stands in a file that is left out.
const externalMetricType = "External"

var errLeftOut = errors.New("the test cluster's KEDA is built without this scaler: see testbed/cluster/reduced.py")

func leftOut(...any) (Scaler, error) { return nil, errLeftOut }

var (
	NewActiveMQScaler            = leftOut
	NewApacheKafkaScaler         = leftOut
	NewArangoDBScaler            = leftOut
	NewArtemisQueueScaler        = leftOut
	NewAwsCloudwatchScaler       = leftOut
	NewAwsDynamoDBScaler         = leftOut
	NewAwsDynamoDBStreamsScaler  = leftOut
	NewAwsKinesisStreamScaler    = leftOut
	NewAwsSqsQueueScaler         = leftOut
	NewAzureAppInsightsScaler    = leftOut
	NewAzureBlobScaler           = leftOut
	NewAzureCosmosDBScaler       = leftOut
	NewAzureDataExplorerScaler   = leftOut
	NewAzureEventHubScaler       = leftOut
	NewAzureLogAnalyticsScaler   = leftOut
	NewAzureMonitorScaler        = leftOut
	NewAzurePipelinesScaler      = leftOut
	NewAzureQueueScaler          = leftOut
	NewAzureServiceBusScaler     = leftOut
	NewBeanstalkdScaler          = leftOut
	NewCassandraScaler           = leftOut
	NewClickHouseScaler          = leftOut
	NewCouchDBScaler             = leftOut
	NewDatadogScaler             = leftOut
	NewDynatraceScaler           = leftOut
	NewElasticForecastScaler     = leftOut
	NewElasticsearchScaler       = leftOut
	NewEtcdScaler                = leftOut
	NewExternalMockScaler        = leftOut
	NewForgejoRunnerScaler       = leftOut
	NewGcpCloudTasksScaler       = leftOut
	NewGcpSpannerScaler          = leftOut
	NewGcsScaler                 = leftOut
	NewGitHubRunnerScaler        = leftOut
	NewGraphiteScaler            = leftOut
	NewHuaweiCloudeyeScaler      = leftOut
	NewIBMMQScaler               = leftOut
	NewInfluxDBScaler            = leftOut
	NewKafkaScaler               = leftOut
	NewKubernetesResourceScaler  = leftOut
	NewLiiklusScaler             = leftOut
	NewLokiScaler                = leftOut
	NewMSSQLScaler               = leftOut
	NewMongoDBScaler             = leftOut
	NewMySQLScaler               = leftOut
	NewNATSJetStreamScaler       = leftOut
	NewNSQScaler                 = leftOut
	NewNewRelicScaler            = leftOut
	NewOpensearchScaler          = leftOut
	NewOpenstackMetricScaler     = leftOut
	NewOpenstackSwiftScaler      = leftOut
	NewPostgreSQLScaler          = leftOut
	NewPredictKubeScaler         = leftOut
	NewPubSubScaler              = leftOut
	NewPulsarScaler              = leftOut
	NewRabbitMQScaler            = leftOut
	NewRedisScaler               = leftOut
	NewRedisStreamsScaler        = leftOut
	NewSeleniumGridScaler        = leftOut
	NewSolaceDMScaler            = leftOut
	NewSolaceScaler              = leftOut
	NewSolarWindsScaler          = leftOut
	NewSolrScaler                = leftOut
	NewSplunkObservabilityScaler = leftOut
	NewSplunkScaler              = leftOut
	NewStackdriverScaler         = leftOut
	NewSumologicScaler           = leftOut
	NewTemporalScaler            = leftOut
)
