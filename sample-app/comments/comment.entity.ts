import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('comments')
export class Comment {
  @PrimaryGeneratedColumn()
  id!: number;

  /** `null`: anonymous. */
  @Column('text', { nullable: true })
  author!: string | null;

  @Column('text', { nullable: true })
  topic!: string | null;

  @Column('text')
  text!: string;
}
