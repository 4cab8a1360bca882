import assert from 'node:assert/strict';
import { test } from 'node:test';
import { camelCaseKeys } from './camel-case.ts';

test('names of fields change, names that users chose do not', () => {
  assert.deepEqual(
    camelCaseKeys({
      connect_timeout: '1s',
      log_format: { json_format: { response_code: '%RESPONSE_CODE%' } },
      typed_per_filter_config: { 'envoy.filters.http.x_y': { stat_prefix: 'a' } },
      metadata: { filter_metadata: { istio: { my_key: 1 } } },
      typed_config: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', type_url: 't', value: { my_key: 1 } },
    }),
    {
      connectTimeout: '1s',
      logFormat: { jsonFormat: { response_code: '%RESPONSE_CODE%' } },
      typedPerFilterConfig: { 'envoy.filters.http.x_y': { statPrefix: 'a' } },
      metadata: { filterMetadata: { istio: { my_key: 1 } } },
      typedConfig: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: 't', value: { my_key: 1 } },
    },
  );
});
