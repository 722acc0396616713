// Make the calls of the vectors of the Vercel AI SDK 3 to 6: which one is installed says the name of the environment.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import * as ai from 'ai';
import { z } from 'zod';

const { embed, generateText, streamText, tool } = ai;
const prefix = process.env.VECTORS_OF.replace('vercel-', '') + '-';
const standIn = process.env.STAND_IN_URL;
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': 'vectors' }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: standIn + '/v1/traces' }))],
});
provider.register();
const openai = createOpenAI({ compatibility: 'strict', baseURL: standIn + '/openai/v1', apiKey: 'none' });
const anthropic = createAnthropic({ baseURL: standIn + '/anthropic/v1', apiKey: 'none' });
const prompt = 'Say something short.';
const experimental_telemetry = { isEnabled: true, functionId: 'say', metadata: { userId: 'u-17', sessionId: 's-4', team: 'radiology' } };

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
  await inCase(prefix + name, () => generateText({ model: chat, prompt, maxRetries: 0, experimental_telemetry }));
}
await inCase(prefix + 'stream', async () => {
  const { textStream } = await streamText({ model: chat, prompt, maxRetries: 0, experimental_telemetry });
  for await (const _ of textStream);
});
await inCase(prefix + 'reasoning', () => generateText({ model: openai.chat('o4-mini'), prompt, maxRetries: 0, experimental_telemetry }));
await inCase(prefix + 'error', () => generateText({ model: chat, prompt, maxRetries: 0, experimental_telemetry }), true);
await inCase(prefix + 'embedding', () => embed({ model: openai.embedding('text-embedding-3-small'), value: 'words', maxRetries: 0, experimental_telemetry }));
await inCase(prefix + 'wrapper-agent-with-tool', () =>
  generateText({
    model: chat,
    prompt,
    maxRetries: 0, experimental_telemetry,
    ...(ai.stepCountIs ? { stopWhen: ai.stepCountIs(3) } : { maxSteps: 3 }),
    tools: { hours: tool({ description: 'Opening hours', [ai.stepCountIs ? 'inputSchema' : 'parameters']: z.object({}), execute: async () => '8 to 17' }) },
  }),
);

const claude = anthropic('claude-sonnet-4-5');
await inCase(prefix + 'anthropic-plain', () => generateText({ model: claude, prompt, maxRetries: 0, experimental_telemetry }));
await inCase(prefix + 'anthropic-cached', () => generateText({ model: claude, prompt, maxRetries: 0, experimental_telemetry }));
await inCase(prefix + 'anthropic-stream-cached', async () => {
  const { textStream } = await streamText({ model: claude, prompt, maxRetries: 0, experimental_telemetry });
  for await (const _ of textStream);
});
