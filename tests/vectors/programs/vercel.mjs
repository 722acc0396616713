// Make the calls of the vectors of the Vercel AI SDK 7 with @ai-sdk/otel.
import { createOpenAI } from '@ai-sdk/openai';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { OpenTelemetry } from '@ai-sdk/otel';
import { embed, generateText, registerTelemetry, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

const standIn = process.env.STAND_IN_URL;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'vectors' }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: standIn + '/v1/traces' }))],
});
provider.register();
registerTelemetry(new OpenTelemetry());
const openai = createOpenAI({ baseURL: standIn + '/openai/v1', apiKey: 'none' });
const prompt = 'Say something short.';

async function inCase(name, body, fails = false) {
  await fetch(standIn + '/case/' + name, { method: 'POST', body: '' });
  try {
    await body();
  } catch (error) {
    if (!fails) {
      console.error(name, error);
      process.exitCode = 1;
    }
  }
  await provider.forceFlush();
  await fetch(standIn + '/case', { method: 'POST', body: '' });
}

const chat = openai.chat('gpt-4o-mini');
for (const name of ['plain', 'cached']) {
  await inCase(name, () => generateText({ model: chat, prompt, maxRetries: 0 }));
}
await inCase('stream', async () => {
  for await (const _ of streamText({ model: chat, prompt, maxRetries: 0 }).textStream);
});
await inCase('reasoning', () => generateText({ model: openai.chat('o4-mini'), prompt, maxRetries: 0 }));
await inCase('error', () => generateText({ model: chat, prompt, maxRetries: 0 }), true);
await inCase('embedding', () => embed({ model: openai.embedding('text-embedding-3-small'), value: 'words', maxRetries: 0 }));
await inCase('wrapper-agent-with-tool', () =>
  generateText({
    model: chat,
    prompt,
    maxRetries: 0,
    stopWhen: stepCountIs(3),
    tools: { hours: tool({ description: 'Opening hours', inputSchema: z.object({}), execute: async () => '8 to 17' }) },
  }),
);
