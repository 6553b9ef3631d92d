const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { NestInstrumentation } = require('@opentelemetry/instrumentation-nestjs-core');
const sdk = require('@opentelemetry/sdk-trace-node');

const exporter = new sdk.InMemorySpanExporter();
new sdk.NodeTracerProvider({ spanProcessors: [new sdk.SimpleSpanProcessor(exporter)] }).register();
registerInstrumentations({ instrumentations: [new NestInstrumentation()] });

globalThis.spanNames = () => exporter.getFinishedSpans().map(({ name }) => name);
