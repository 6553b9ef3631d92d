import mongoose from 'mongoose';
import { type Kind, lost, SECRET } from './kinds.js';

const schema = new mongoose.Schema({ no: String, total: Number, hash: String });
schema.set('toJSON', {
  transform: (_document, { hash: _hash, ...shown }: Record<string, unknown>) => shown,
});
const Order = mongoose.model('Order', schema);

/** What Mongoose makes, which takes long to load. */
export const MONGOOSE_KINDS: readonly Kind[] = [
  lost(
    'Mongoose document',
    () => new Order({ no: 'A', total: 1, hash: SECRET }),
    'value is a model object',
  ),
  lost('list of a Mongoose document', () => [new Order({ no: 'A' })], 'value[] is a model object'),
];
