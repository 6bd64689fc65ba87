module github.com/bedplate/bedplate/examples/bench

go 1.26.0

require (
	filippo.io/age v1.3.2
	github.com/Rican7/retry v0.3.1
	github.com/Yiling-J/theine-go v0.6.3
	github.com/asaskevich/EventBus v0.0.0-20200907212545-49d423059eef
	github.com/avast/retry-go/v5 v5.1.1
	github.com/bedplate/bedplate v0.0.0
	github.com/bedplate/bedplate/ratelimit/ratelimitredis v0.0.0-00010101000000-000000000000
	github.com/cenkalti/backoff/v5 v5.0.3
	github.com/codeGROOVE-dev/retry v1.2.0
	github.com/cristalhq/hedgedhttp v0.9.1
	github.com/cristalhq/jwt/v5 v5.4.0
	github.com/cskr/pubsub/v2 v2.0.2
	github.com/destel/rill v0.8.1
	github.com/eapache/go-resiliency v1.7.0
	github.com/elastic/go-freelru v0.16.0
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/go-chi/httprate v0.16.0
	github.com/go-jose/go-jose/v4 v4.1.8
	github.com/go-redis/redis_rate/v10 v10.0.1
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/gomodule/redigo v1.9.3
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/jackc/puddle/v2 v2.2.3
	github.com/jilio/ebu v0.17.0
	github.com/jolestar/go-commons-pool/v2 v2.1.2
	github.com/kataras/jwt v0.1.12
	github.com/kelindar/event v1.5.2
	github.com/maniartech/signals v1.3.1
	github.com/maypok86/otter/v2 v2.4.0
	github.com/minio/sio v0.4.1
	github.com/mustafaturan/bus/v3 v3.0.3
	github.com/phuslu/lru v1.0.20
	github.com/redis/go-redis/v9 v9.23.0
	github.com/reugn/go-streams v0.13.0
	github.com/rubyist/circuitbreaker v2.2.1+incompatible
	github.com/samber/lo v1.53.0
	github.com/samber/ro v0.3.0
	github.com/sethvargo/go-limiter v0.7.0
	github.com/sethvargo/go-retry v0.5.0
	github.com/sony/gobreaker/v2 v2.4.0
	github.com/stretchr/testify v1.12.1
	github.com/teivah/broadcast v0.1.0
	github.com/tink-crypto/tink-go/v2 v2.9.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.24.0
	golang.org/x/time v0.16.0
)

require (
	go.uber.org/multierr v1.9.0 // indirect
	golang.org/x/exp v0.0.0-20220303212507-bbda1eaf7a17 // indirect
	golang.org/x/text v0.41.0 // indirect
)

require (
	filippo.io/hpke v0.4.0 // indirect
	github.com/alitto/pond/v2 v2.7.1
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/bytedance/gopkg v0.1.4
	github.com/cenk/backoff v2.2.1+incompatible // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/facebookgo/clock v0.0.0-20150410010913-600d898af40a // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/panjf2000/ants/v2 v2.12.1
	github.com/peterbourgon/g2s v0.0.0-20170223122336-d4e7ad98afea // indirect
	github.com/sourcegraph/conc v0.3.0
	github.com/zeebo/xxh3 v1.1.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/bedplate/bedplate => ../..

replace github.com/bedplate/bedplate/ratelimit/ratelimitredis => ../../ratelimit/ratelimitredis
